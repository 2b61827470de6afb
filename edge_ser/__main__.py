"""Entry point of `python -m edge_ser`, equal to `edge-ser`."""

from edge_ser.cli import main

main()
