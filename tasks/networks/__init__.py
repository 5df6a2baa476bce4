"""The nn.Modules that this project defines: torch only, one file per architecture."""
