"""Models that Keras 2 wrote: their configs are translated before Keras 3 sees them."""
