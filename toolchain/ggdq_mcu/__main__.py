"""``python -m ggdq_mcu`` is the command ``ggdq-mcu``."""

from ggdq_mcu.cli import main

if __name__ == "__main__":
    main()
