"""Decision logic of the strategies: arrays in, arrays or prices out. Nothing here knows Freqtrade."""
