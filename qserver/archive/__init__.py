"""What remains of days gone by: the files, who fills them, and the reports that are counted from them and the store."""
