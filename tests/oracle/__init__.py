"""An executed loop nest that the cost model is compared with."""
