"""What a unit does to words: it stands inside one, ends one (the space), or begins one."""

INSIDE, CLOSES, OPENS = 0, 1, 2
