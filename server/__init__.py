"""The HTTP side: knows the wire, not tensors, not FAISS."""
