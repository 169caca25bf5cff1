"""Keeps the linear algebra of NumPy and SciPy to one thread.

The engine's matrices are small: more threads wait for each other longer than they compute. A
gaussian_process explanation of 500 evaluations took four times as long by two threads as by one.
The models' libraries have threads of their own, which this leaves alone.
"""

from threadpoolctl import threadpool_limits


def use_one_thread() -> None:
    """Limit the libraries that are loaded now, for the whole process."""
    threadpool_limits(limits=1, user_api="blas")
