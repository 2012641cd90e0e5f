from .triplet import TripletLoss

__all__ = ["TripletLoss"]
