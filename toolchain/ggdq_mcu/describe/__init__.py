"""What do people see of a network: its layers, its memory, its quality? What reports, commands and the API print."""
