# The same loop, compiled for wide vectors (setup.py); build.py picks one of the two builds.
include "_environment.pyx"
