"""What is printed: progress, lines, tables and Markdown.

It imports nothing of this package.
"""
