"""Killing batchrun at every boundary, and looking at what the next calls make of it.

boundaries   where a process can die, and the seams that notice it there
forge        a warm process that forks one life after the other
lab          starts lives and simulators in the forge, from any thread
trial        one case: lives that die, one that repairs, one that reads; and the verdict
"""
