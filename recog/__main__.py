"""`python -m recog`, and the installed command `recog`."""


def main() -> None:
    try:
        from .cli import run_app         # an installed wheel carries cli.py inside the package
    except ModuleNotFoundError:
        from cli import run_app          # a checkout has it at the top
    run_app()


if __name__ == "__main__":
    main()
