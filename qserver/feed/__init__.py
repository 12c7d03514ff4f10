"""The analytics system reads here: groups and their positions, pulls, acknowledgements, trimming, CloudEvents."""
