"""Random utterances in the style of AN4 and of everyday commands.

`sentence(rng)` gives one `Sentence`. `say` is what an engine is asked to read: words in capitals,
single letters for letter names, and commas where the speaker pauses. `text` is the transcript:
`say` without the commas. The letter name /ow/ is O alone and among letters, and OH among digits,
as in AN4.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import words as w


@dataclass(frozen=True)
class Sentence:
    say: str                             # words with pauses, "ENTER FOUR, FIVE, ONE"
    kind: str                            # name of the rule that made it

    @property
    def text(self) -> str:
        return self.say.replace(",", "")

    @property
    def isolated(self) -> bool:
        """True for one single word or letter."""
        return " " not in self.say


def listed(items: list[str], rng: random.Random) -> str:
    """Items read as a list: with no pause, a pause after each, or a pause between groups."""
    style = rng.choice(("plain", "plain", "pauses", "groups"))
    if style == "plain":
        return " ".join(items)
    size = 1 if style == "pauses" else rng.choice((2, 3, 4))
    groups = [" ".join(items[i:i + size]) for i in range(0, len(items), size)]
    return ", ".join(groups)


def letter(rng: random.Random) -> str:
    return rng.choice(w.LETTERS)


def digit(rng: random.Random) -> str:
    """A digit inside a string of digits, where zero may be OH."""
    name = rng.choice(w.DIGITS)
    return "OH" if name == "ZERO" and rng.random() < 0.4 else name


def below_hundred(rng: random.Random) -> str:
    """A number from one to ninety nine; small ones come more often."""
    draw = rng.random()
    if draw < 0.35:
        return rng.choice(w.DIGITS[1:])
    if draw < 0.60:
        return rng.choice(w.TEENS)
    tens = rng.choice(w.TENS)
    return tens if rng.random() < 0.3 else f"{tens} {rng.choice(w.DIGITS[1:])}"


def two_figures(rng: random.Random) -> str:
    """Two figures read as one number, as in years and house numbers: FORTY FIVE, OH FIVE."""
    draw = rng.random()
    if draw < 0.12:
        return f"OH {rng.choice(w.DIGITS[1:])}"
    if draw < 0.35:
        return rng.choice(w.TEENS)
    tens = rng.choice(w.TENS)
    return tens if draw < 0.5 else f"{tens} {rng.choice(w.DIGITS[1:])}"


def hundreds(rng: random.Random) -> str:
    head = f"{rng.choice(w.DIGITS[1:])} HUNDRED"
    draw = rng.random()
    if draw < 0.3:
        return head
    return f"{head}{' AND' if draw < 0.65 else ''} {below_hundred(rng)}"


def number(rng: random.Random) -> str:
    """A cardinal number, up to some millions, or a decimal."""
    draw = rng.random()
    if draw < 0.35:
        return below_hundred(rng)
    if draw < 0.60:
        return hundreds(rng)
    if draw < 0.80:
        tail = rng.choice(("", below_hundred(rng), hundreds(rng), "AND " + below_hundred(rng)))
        return f"{below_hundred(rng)} THOUSAND {tail}".strip()
    if draw < 0.87:
        tail = rng.choice(("", f"{hundreds(rng)} THOUSAND"))
        return f"{below_hundred(rng)} MILLION {tail}".strip()
    if draw < 0.93:
        return f"{below_hundred(rng)} AND A HALF"
    places = " ".join(digit(rng) for _ in range(rng.randint(1, 3)))
    return f"{rng.choice((below_hundred(rng), digit(rng)))} POINT {places}"


def year(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.75:
        century = rng.choice(("NINETEEN", "NINETEEN", "EIGHTEEN", "TWENTY"))
        return f"{century} {two_figures(rng)}"
    return f"TWO THOUSAND {rng.choice(('', 'AND '))}{below_hundred(rng)}"


def day_of_month(rng: random.Random) -> str:
    if rng.random() < 0.75:
        return rng.choice(w.ORDINALS)
    return rng.choice(("TWENTY", "TWENTY", "THIRTY")) + " " + rng.choice(w.ORDINALS[:9])


def date(rng: random.Random) -> str:
    month, day = rng.choice(w.MONTHS), day_of_month(rng)
    comma = rng.choice(("", ","))
    return rng.choice((f"{month} {day}", f"{month} {day}{comma} {year(rng)}",
                       f"{month} {day}{comma} {year(rng)}", f"THE {day} OF {month} {year(rng)}",
                       f"{day} OF {month}", f"{month} {year(rng)}",
                       f"{rng.choice(w.DAYS)}{comma} {month} {day}"))


def single_letter(rng: random.Random) -> str:
    return letter(rng)


def single_digit(rng: random.Random) -> str:
    return rng.choice(w.DIGITS)


def single_number(rng: random.Random) -> str:
    return rng.choice(w.TEENS + w.TENS + w.SCALES + w.ORDINALS)


def single_command(rng: random.Random) -> str:
    return rng.choice(rng.choice((w.AN4_COMMANDS, w.COMMANDS, w.COMMANDS)))


def single_other(rng: random.Random) -> str:
    return rng.choice(w.MONTHS + w.DAYS + w.OTHER_AN4)


def letters(rng: random.Random) -> str:
    return listed([letter(rng) for _ in range(rng.randint(2, 8))], rng)


def digits(rng: random.Random) -> str:
    return listed([digit(rng) for _ in range(rng.randint(2, 10))], rng)


def spelled_name(rng: random.Random) -> str:
    return listed(list(rng.choice(w.NAMES)), rng)


def mixed_code(rng: random.Random) -> str:
    """Letters then a number, as in AN4's "C Z D Z W EIGHT", or a code like "K THREE L FOUR"."""
    if rng.random() < 0.5:
        return f"{letters(rng)} {rng.choice((below_hundred, below_hundred, hundreds, number))(rng)}"
    count = rng.randint(2, 7)
    return listed([letter(rng) if rng.random() < 0.5 else digit(rng) for _ in range(count)], rng)


def an4_command(rng: random.Random) -> str:
    command = rng.choice(("ENTER", "ERASE", "RUBOUT", "REPEAT"))
    rest = rng.choice((letters, digits, mixed_code, number, two_figures))(rng)
    return f"{command}{rng.choice(('', '', ','))} {rest}"


def address(rng: random.Random) -> str:
    """House numbers, zip codes and telephone numbers."""
    kind = rng.choice(("house", "zip", "phone", "area", "spelled"))
    if kind == "house":
        return f"{two_figures(rng)} {two_figures(rng)}"
    if kind == "zip":
        return listed([digit(rng) for _ in range(5)], rng)
    if kind == "spelled":
        return f"{two_figures(rng)} {two_figures(rng)}, {spelled_name(rng)}"
    local = " ".join(digit(rng) for _ in range(3)) + ", " + listed([digit(rng) for _ in range(4)], rng)
    if kind == "phone":
        return local
    return f"AREA CODE {' '.join(digit(rng) for _ in range(3))}, {local}"


def command_phrase(rng: random.Random) -> str:
    phrase = rng.choice(w.PHRASES)
    slots = (("{n}", below_hundred), ("{d}", lambda r: r.choice(w.DIGITS)), ("{l}", letter),
             ("{u}", lambda r: r.choice(w.UNITS)), ("{o}", lambda r: r.choice(w.ORDINALS)))
    for slot, fill in slots:
        while slot in phrase:
            phrase = phrase.replace(slot, fill(rng), 1)
    return phrase


# (share in percent, rule): isolated words and letters are 46 of 100.
RULES = ((12, single_letter), (6, single_digit), (8, single_number), (14, single_command),
         (6, single_other), (7, letters), (8, digits), (8, spelled_name), (5, mixed_code),
         (7, number), (6, an4_command), (5, date), (3, address), (5, command_phrase))


def sentence(rng: random.Random) -> Sentence:
    """One random sentence; the same state of `rng` gives the same sentence."""
    rule = rng.choices([rule for _, rule in RULES], [share for share, _ in RULES])[0]
    return Sentence(rule(rng), rule.__name__)


def vocabulary() -> set[str]:
    """Every word that `sentence` can say."""
    words = {word for phrase in w.PHRASES for word in phrase.split() if "{" not in word}
    lists = (w.LETTERS, w.DIGITS, w.TEENS, w.TENS, w.SCALES, w.MONTHS, w.DAYS, w.ORDINALS,
             w.AN4_COMMANDS, w.OTHER_AN4, w.COMMANDS, w.UNITS, ["OH", "THE"])
    return words.union(*lists)
