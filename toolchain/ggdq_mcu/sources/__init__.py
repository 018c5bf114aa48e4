"""How does an operator see the layer of a file that it is made from? One view for each format: checked, and never trusted."""
