"""What all tests need of this process, however it was started."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A job in the background of a shell ignores Ctrl-C, and its children inherit that: tests that send it to real
    # processes would wait in vain. A signal that is handled here is the default again in a child.
    signal.signal(signal.SIGINT, signal.default_int_handler)
