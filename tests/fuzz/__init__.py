"""One property of every command and reader: for any input, exit 0 or 2, one line, nothing left.

``seeds`` makes small valid inputs, ``mutations`` spoils them, ``commands`` says how each command is
called with them, ``runs`` runs one and checks what it did. ``python -m tests.fuzz --help``.
"""
