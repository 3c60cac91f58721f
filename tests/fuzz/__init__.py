"""One property for every command and reader: whatever the input, exit 0 or 2, one line, nothing left.

``seeds`` makes small valid inputs, ``mutations`` spoils them, ``commands`` says how each command is
called with them, ``runs`` runs one and checks what it did. ``python -m tests.fuzz --help``.
"""
