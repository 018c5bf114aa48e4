"""What does the network compute where it really runs: on this computer, an emulated board, a real board?"""
