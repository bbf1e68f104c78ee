"""The inference service `nn_infer`: signed forecasters behind one guarded door; the only folder that knows BentoML."""
