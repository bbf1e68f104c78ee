# The same loops, compiled for wide vectors (setup.py); engine.py picks one of the two builds.
include "_engine.pyx"
