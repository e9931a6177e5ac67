"""How we choose: folds, studies, and the nested search over them."""
