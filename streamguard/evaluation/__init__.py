"""What a network's scores are worth: footage through the runtime into traces, traces into numbers with intervals.

    traces        what the runtime said of each footage, on disk: the only thing that measures and calibration read
    distortions   the same footage, spoilt in a stated way
    harmonise     both classes brought to the same size, rate and codec first
    measures      arrays in, numbers out: AUC, calibration, what a verdict costs; intervals by resampling groups
    evaluate      traces are made, and measured
    report        the numbers as one HTML page

No torch here: a bundle is run by the same engine that judges live streams.
"""
