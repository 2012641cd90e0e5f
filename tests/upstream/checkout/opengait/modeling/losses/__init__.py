from .margin import TripletLoss

__all__ = ["TripletLoss"]
