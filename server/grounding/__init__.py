"""Which sentences of an answer the sources really say: text against text, no model and no HTTP."""
