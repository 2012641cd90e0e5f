"""HITSZ-VCM and data in its form."""
