import numpy as np

def venue_stream(
    messages: np.ndarray, received: np.ndarray, stream: np.ndarray, gaps: np.ndarray
) -> tuple[int, int, int, int, int]: ...
