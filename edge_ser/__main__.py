"""`python -m edge_ser` is `edge-ser`."""

from edge_ser.cli import main

main()
