"""Who trains and who is tested: named, checked ways to divide clips. No torch, no audio is read."""
