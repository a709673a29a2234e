"""`python -m recog`, and the installed command `recog`."""


def main() -> None:
    try:
        from .cli import run             # an installed wheel carries cli.py inside the package
    except ModuleNotFoundError:
        from cli import run              # a checkout has it at the top
    run()


if __name__ == "__main__":
    main()
