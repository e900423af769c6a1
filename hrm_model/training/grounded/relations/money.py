"""Relations about money, shares and amounts."""

from hrm_model.training.grounded.relations.relation import ANYTHING, GOODS, HUMANS, Relation

MONEY = (
    Relation("cost", "price", "money", GOODS, "price", """
        {s} cost{z} {v}
        the [price|cost|fee|charge] [of|for] {s} is {v}
        {v} is [charged|billed|payable|due] for {s}
        [customers|members|users|we|they] pay {v} for {s}
        {s} [{is} priced at|{is} sold for|go{es} for|{is} available for] {v}
        you can [get|buy|order|have] {s} for {v}
        anyone who [wants|needs|orders] {s} [pays|is charged|has to pay] {v}
        the [fee|charge|price] for {s} [comes to|amounts to|was set at|stands at] {v}
        for {s}, [a fee|a charge|a price|an amount] of {v} [applies|is taken|is asked]
        [expect|be ready] to pay {v} for {s}
        {p} [price|cost|fee] is {v}
        {s} [come{z} at a price of|{has} a price of|{is} billed at] {v}
        """, """
        how much [does|will|would] {k} cost
        how much do [I|you|we|customers] pay for {k}
        how much {is} {s}
        how much is [charged|billed|due] for {k}
        what {does} {s} cost
        what do you have to pay for {k}
        what is the price tag of {k}
        =the [price|cost|fee|charge] [of|for] {s}
        =the amount [payable|charged|due] for {s}
        at what price {is} {s} [sold|offered|available]
        how expensive {is} {s}
        {k} [price|cost|fee]
        """),
    Relation("deductible", "excess", "money", GOODS, "excess", """
        the [excess|deductible] [for|on] {s} is {v}
        {s} {is} subject to [an excess|a deductible] of {v}
        the first {v} of {s} [is|are] borne by the policyholder
        [policyholders|customers] bear the first {v} of {s} themselves
        for {s}, [an excess|a deductible] of {v} [applies|is deducted|is kept back]
        we deduct {v} from {s} as the [excess|deductible|own share]
        {s} carr{y} [an excess|a deductible] of {v}
        the policyholder's own share [for|of] {s} [is|amounts to] {v}
        {v} is the [excess|deductible] [agreed|set] for {s}
        """, """
        =the [excess|deductible] [for|on] {s}
        how [high|large|much] is the [excess|deductible] [for|on] {s}
        how much [do I|must the policyholder|does the customer] [bear|pay] myself for {k}
        which [excess|deductible] applies to {s}
        what [excess|deductible] {does} {s} have
        what is deducted from {s}
        =the own share of the policyholder for {s}
        {k} [excess|deductible]
        """),
    Relation("budget", "budget", "money", ("body", "event", "facility", "company"), "budget", """
        {s} {has} a budget of {v}
        the budget [of|for] {s} is {v}
        {v} [has|have] been [set aside|budgeted|earmarked|allocated|reserved] for {s}
        {s} [{was} given|{was} granted|receive{z}|get{z}] {v} to spend
        {s} may spend [up to|] {v} a year
        the [board|council] [approved|released] {v} for {s}
        funds of {v} are [available to|at the disposal of] {s}
        {p} budget [is|stands at|was fixed at] {v}
        """, """
        =the budget [of|for] {s}
        how [large|big|high] is the budget of {s}
        how much [money|funding] {does} {s} have
        how much [can|may] {s} spend
        how much was [set aside|allocated|budgeted] for {k}
        what sum was [approved|reserved|granted] for {k}
        which budget {does} {s} have
        {k} budget
        """),
    Relation("salary", "salary", "money", HUMANS, "salary", """
        {s} earn{z} {v}
        the [salary|pay|wage] of {s} is {v}
        {s} {is} paid {v}
        {s} receive{z} [a salary|a wage|pay] of {v}
        {s} [{has}|draw{z}] a [monthly|yearly] salary of {v}
        {p} [salary|pay|income] [is|amounts to] {v}
        {v} is what {s} [earn{z}|make{z}|take{z} home]
        """, """
        how much {does} {s} [earn|make]
        how much {is} {s} paid
        =the [salary|pay|wage|income] of {s}
        what {does} {s} earn
        how [high|large] is the salary of {s}
        which salary {does} {s} [get|receive]
        """),
    Relation("allowance", "allowance", "money", HUMANS, "allowance", """
        {s} [can|may] claim [up to|] {v} for meals
        [the|a] meal allowance for {s} is {v}
        {s} [get{z}|receive{z}] {v} for meals
        {v} a day is [paid|reimbursed] to {s} for food
        {s} {is} [entitled to|allowed] {v} for meals
        """, """
        how much can {s} [claim|spend] on [meals|food]
        =the meal allowance [of|for] {s}
        what do {s} get for [meals|food]
        how much is reimbursed to {s} for [meals|food]
        how [high|large] is the meal allowance for {s}
        """),
    Relation("share", "rate", "percent", ANYTHING, "rate", """
        the rate for {s} is {v}
        {s} {is} [charged|taxed|discounted] at {v}
        [a rate|a share] of {v} applies to {s}
        for {s} we apply {v}
        {v} is the rate [applied to|set for|that applies to] {s}
        {p} rate [is|stands at|was fixed at] {v}
        {s} [fall{z} under|come{z} under] the {v} rate
        """, """
        =the rate [for|of] {s}
        which rate applies to {s}
        what rate is [charged|used] for {k}
        what percentage [applies to|is charged for] {k}
        how [high|large] is the rate for {s}
        at what rate {is} {s} [charged|taxed]
        """),
    Relation("growth", "growth", "percent", ("company", "place", "body", "facility", "mass"), "growth", """
        {s} grew by {v} [last year|this year|]
        {s} [saw|recorded|reported|had] growth of {v}
        {s} [increased|expanded|went up|rose] by {v}
        growth of {v} was [reported|measured|seen] for {s}
        the growth rate of {s} [was|is] {v}
        an increase of {v} was [recorded|reported] for {s}
        """, """
        by how much did {s} [grow|increase|rise]
        =the growth [rate|] of {s}
        how [strongly|fast|much] did {s} grow
        by what percentage did {s} [expand|grow]
        what growth did {s} [report|see]
        """),
    Relation("limit", "maximum", "money", GOODS, "limit", """
        {s} {is} [capped at|limited to] {v}
        the [limit|maximum|cap|ceiling] for {s} is {v}
        we [pay|cover] [up to|at most|no more than] {v} for {s}
        {s} [may|must] not [exceed|go over|be more than] {v}
        {v} is the [most|maximum] that is paid for {s}
        no more than {v} is [paid|reimbursed|covered] for {s}
        for {s}, the upper limit is {v}
        {s} {is} [covered|insured|reimbursed] up to {v}
        """, """
        =the [limit|maximum|cap|ceiling|upper limit] for {s}
        up to what amount {is} {s} [covered|insured|reimbursed]
        what is the most that is paid for {k}
        how much is paid at most for {k}
        how [high|large] is the [limit|cap] for {s}
        what [limit|cap|maximum] applies to {k}
        """),
    Relation("discount", "discount", "percent", (*GOODS, "people"), "discount", """
        {s} [get{z}|qualif{y} for|receive{z}] a discount of {v}
        the discount [for|on] {s} is {v}
        there is {v} off {s}
        a [rebate|reduction|discount] of {v} is [given|granted|offered] [on|for] {s}
        {s} {is} reduced by {v}
        we take {v} off {s}
        """, """
        =the [discount|rebate|reduction] [on|for] {s}
        how [large|big|high] is the [discount|rebate|reduction] for {s}
        what discount [applies to|is given on|is there on] {k}
        how much is taken off {k}
        by how much {is} {s} reduced
        which [discount|rebate] {does} {s} get
        """),
)  # fmt: skip
