"""What the product costs, each figure beside its floor measured in the same run; never imported by the product."""
