"""What can be done with a model and with a project? Each command of the command line is one function here.

Every result is a frozen dataclass, and ``to_plain`` makes of it what the command's --json prints.
"""
