"""What surrounds the tabs: header, links to tabs, theme."""
