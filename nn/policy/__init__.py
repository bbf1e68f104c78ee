"""The trading policy: its environments and its training. From: markets of `tradekernels`. To: target weights."""
