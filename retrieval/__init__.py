"""Documents to passages: knows text and vectors, not the model, not HTTP."""
