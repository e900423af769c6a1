"""Relations about rules, requirements, reasons and things."""

from hrm_model.training.grounded.relations.relation import ANYTHING, Relation

RULES = (
    Relation("requires", "requirement", "item", ("thing", "event", "people", "facility", "group"), "requirement", """
        {s} [require{z}|need{z}|call{z} for|demand{z}] {v}
        {v} is [required|needed|necessary|mandatory] for {s}
        [bring|attach|enclose|present|show] {v} [for|when you apply for|with] {s}
        {s} {is} [accepted|allowed|possible] only with {v}
        without {v}, {s} [{is} rejected|{is} refused|cannot be processed]
        you [need|must have|must provide|have to show] {v} for {s}
        [to get|to use] {s}, {v} must be [shown|presented|provided]
        """, """
        what {does} {s} [require|need|call for]
        what is [required|needed|necessary|mandatory] for {k}
        what do I [need|have to bring|have to show|have to attach|have to provide] for {k}
        what must be [attached|presented|shown|enclosed] for {k}
        which [document|item|thing] is [needed|required] for {k}
        =the [requirement|condition] for {s}
        what has to be handed in for {k}
        without what {is} {s} rejected
        """),
    Relation("tool", "means", "tool", ("thing", "event", "group", "mass"), "tool", """
        {s} {is} [requested|booked|submitted|reported|ordered|managed|recorded] [via|through|with|using] {v}
        use {v} [to book|to request|to report|to submit|to order|for] {s}
        {v} is used for {s}
        you [book|request|order|submit] {s} through {v}
        {s} [{is} done|{is} handled|work{z}] with {v}
        [the right way|the way] to [request|order|report] {s} is {v}
        """, """
        how {is} {s} [requested|booked|submitted|reported|ordered|recorded]
        how do I [request|book|submit|report|order] {s}
        what [is used|do I use] [for|to book|to request|to report] {s}
        =the [tool|system|way] used for {s}
        with what {is} {s} [done|handled|managed]
        through what can {s} be [booked|ordered|submitted]
        """),
    Relation("max_count", "maximum", "limit", ("people", "group", "thing", "facility", "event"), "maximum number", """
        {s} may [have|use|include|contain|hold] {v} [items|units|pieces|copies]
        {v} [items|units|people|copies] are [allowed|permitted] for {s}
        the permitted number for {s} is {v}
        {s} {is} limited to {v}
        we allow {v} for {s}
        """, """
        how many [items|units|people|copies] are [allowed|permitted] for {s}
        how many may {s} [have|use|include|contain]
        =the [permitted number|allowed number] for {s}
        to how many {is} {s} limited
        """),
    Relation("staff", "staff", "count", ("company", "facility", "body"), "number of employees", """
        {s} [employ{z}|{has}] {v} [people|staff|employees|workers]
        {v} people work [at|for] {s}
        the [workforce|staff] of {s} numbers {v}
        {s} give{z} work to {v} people
        the number of employees of {s} is {v}
        {s} run{z} with {v} staff
        """, """
        how many [people|employees|workers|staff] {does} {s} [employ|have]
        how many people work [at|for] {s}
        =the number of [employees|staff|workers] [of|at] {s}
        how [large|big] is the [staff|workforce|team] of {s}
        what is the size of the workforce of {s}
        """),
    Relation("code", "code", "code", ANYTHING, "code", """
        the [code|reference|number|file number] [of|for] {s} is {v}
        {s} {has} the [code|reference|number|identifier] {v}
        {s} {is} [filed|registered|listed|known|booked] under {v}
        {v} [stands for|identifies|refers to] {s}
        [quote|state|use|enter] {v} for {s}
        {s} bear{z} the [number|reference] {v}
        """, """
        =the [code|reference|number|identifier|file number|reference number] [of|for] {s}
        which [code|reference|number] {does} {s} have
        under which [code|number|reference] {is} {s} [filed|registered|listed|booked]
        what [code|number|reference] do I [quote|use|enter] for {k}
        what [identifies|stands for] {k}
        {k} [code|reference|number]
        """),
    Relation("form", "form", "code", ("thing", "event", "group"), "form", """
        {s} {is} [requested|reported|applied for|claimed] on form {v}
        use form {v} for {s}
        form {v} [is for|covers|applies to] {s}
        the form for {s} is {v}
        fill in {v} to [request|report|claim] {s}
        """, """
        which form [is for|do I need for|do I use for|do I fill in for|covers] {s}
        =the form [for|used for] {s}
        on which form {is} {s} [requested|reported|claimed]
        what form applies to {k}
        """),
    Relation("cause", "reason", "reason", ("event", "thing", "facility", "body", "product"), "reason", """
        {s} [{was} cancelled|{was} postponed|{was} delayed|{was} closed|failed|stopped] because of {v}
        {v} [led to|caused|was the reason for] the [end|delay|failure|closure] of {s}
        {s} [{was} stopped|{was} put off|{was} withdrawn] due to {v}
        owing to {v}, {s} [{was} cancelled|{was} put off|did not go ahead]
        the reason [for the delay of|for the failure of|behind the closure of] {s} was {v}
        """, """
        why {was} {s} [cancelled|postponed|delayed|closed|stopped|put off|withdrawn]
        why did {s} [fail|stop]
        what [led to|caused] the [end|delay|failure|closure] of {s}
        =the reason [for the delay of|for the failure of|behind the closure of] {s}
        because of what {was} {s} [cancelled|stopped|delayed]
        what went wrong with {k}
        """),
    Relation("colleague", "colleague", "person", ("person",), "colleague", """
        {s} works together with {v}
        {s} shares [an office|a desk|a room] with {v}
        {v} is a colleague of {s}
        {s} trained {v}
        {s} was [introduced|recommended] by {v}
        """, """
        who does {s} work with
        with whom does {s} [work|share an office|share a desk]
        =the colleague of {s}
        who is [a colleague of|working with] {s}
        """),
    Relation("version", "version", "code", ("product", "thing"), "version", """
        {s} {is} [now at|running|on] version {v}
        the [current|latest] version of {s} is {v}
        version {v} of {s} is [in use|available|installed]
        {s} {was} [updated|upgraded] to version {v}
        """, """
        which version of {s} is [in use|available|installed|current]
        =the [current|latest|] version of {s}
        to which version {was} {s} [updated|upgraded]
        what version {does} {s} have
        """),
    Relation("replaces", "predecessor", "product", ("product", "thing"), "predecessor", """
        {s} [replace{z}|replaced|took over from|superseded] {v}
        {v} was [replaced|superseded|followed] by {s}
        {s} {is} the successor [of|to] {v}
        before {s} there was {v}
        the predecessor of {s} [is|was] {v}
        """, """
        what did {s} [replace|take over from|supersede]
        which [product|system|thing] was [replaced|superseded] by {s}
        =the predecessor of {s}
        what came before {s}
        """),
    Relation("size_limit", "maximum", "size", ("thing", "product", "body", "group"), "size limit", """
        {s} may be [as large as|up to] {v}
        the size limit for {s} is {v}
        {s} {has} [a size|a storage space] of {v}
        [files|uploads] for {s} [must stay below|may not exceed] {v}
        {s} {is} limited to {v} in size
        """, """
        how [large|big] may {s} be
        =the size limit for {s}
        how much [space|storage] {does} {s} have
        what size [limit|] applies to {k}
        """),
    Relation("award", "award", "money", ("person", "people", "group"), "prize", """
        {s} [won|was awarded|received|took home] a prize of {v}
        a prize of {v} [went to|was given to|was won by] {s}
        the prize [of|for] {s} was {v}
        {s} {was} honoured with {v}
        """, """
        how much did {s} win
        =the prize [of|for|given to] {s}
        how [large|high] was the prize of {s}
        what did {s} [win|take home]
        """),
    Relation("consequence", "penalty", "money", ("people", "group", "thing"), "penalty", """
        the [penalty|fine] for {s} is {v}
        {s} [face{z}|risk{z}] a [fine|penalty] of {v}
        [a fine|a penalty] of {v} is [due|imposed|levied] for {s}
        {s} {is} fined {v}
        we charge {v} as a penalty for {s}
        """, """
        =the [penalty|fine] for {s}
        how [high|large] is the [penalty|fine] for {s}
        how much {is} {s} fined
        what [fine|penalty] {does} {s} [face|risk]
        """),
)  # fmt: skip
