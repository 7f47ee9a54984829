# What all figures share. The colours are Okabe and Ito's, which the colour-blind can tell apart.
set terminal svg size 860,360 dynamic font "sans-serif,13" background "white"
set grid linecolor "#dddddd"
set linetype 1 linecolor "#0072b2" linewidth 2
set linetype 2 linecolor "#d55e00" linewidth 2
set linetype 3 linecolor "#009e73" linewidth 2
set linetype 4 linecolor "#cc79a7" linewidth 2
set linetype 5 linecolor "#e69f00" linewidth 2
set linetype 6 linecolor "#56b4e9" linewidth 2
set linetype 7 linecolor "#000000" linewidth 2
set linetype 8 linecolor "#999999" linewidth 2
kinds = "linear quad sigmoid cosine const warmup10 warmup50 jsd"
set samples 200
