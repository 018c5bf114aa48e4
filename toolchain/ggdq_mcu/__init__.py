"""ggdq-mcu: a trained CNN in, bit-exact fixed-point firmware out."""

__version__ = "0.1.0"
