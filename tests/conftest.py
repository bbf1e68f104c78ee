"""What all tests need of this process, however it was started."""

import os
import signal

# As `start.sh test` has it: more threads than free cores make small products a hundred times slower. Before any import.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A job in the background of a shell ignores Ctrl-C, and its children inherit that: tests that send it to real
    # processes would wait in vain. A signal that is handled here is the default again in a child.
    signal.signal(signal.SIGINT, signal.default_int_handler)
