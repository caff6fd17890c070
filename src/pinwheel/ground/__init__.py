"""The ground floor: who somebody is, what there is, what was said and whom to trust."""
