"""The evaluator pad 评价器 of a window: a reference client, headless or in a terminal."""
