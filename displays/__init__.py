"""Screens and voices of a hall 综合屏 窗口屏: a reference client, headless or in a terminal."""
