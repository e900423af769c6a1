"""What is handed over: the bundle for sites without a network, its bill of materials and its licences."""
