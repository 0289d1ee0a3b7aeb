"""Searches over hardware as Optuna studies that any number of workers share."""
