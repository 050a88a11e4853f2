"""Who proposes: surrogate, acquisition and the search for its best row, random search beside them, and the choice in the end."""
