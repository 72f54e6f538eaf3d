"""A genome to practise on: planted loops, domains, compartments and expression, as real files."""
