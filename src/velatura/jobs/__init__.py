"""Jobs: one module per verb. Settings in, a result out; every door and worker uses them."""
