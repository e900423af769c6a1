"""Relations of working life: who may, who must be told, what is covered, where things go."""

# ruff: noqa: E501  (word lists and wordings read better in long lines)

from hrm_model.training.grounded.relations.relation import GOODS, HUMANS, SITES, Relation

DUTIES = (
    Relation("eligible", "eligibility", "people", ("thing", "event", "facility", "mass", "body", "product"), "eligibility", """
        {s} {is} [open to|reserved for|meant for|available to|limited to] {v}
        only {v} [may|can|are allowed to] [use|apply for|join|enter|have] {s}
        {v} [may|can] [use|apply for|join|request] {s}
        {v} [qualify for|are eligible for|have a right to|are entitled to] {s}
        {s} [serve{z}|{is} intended for|{is} aimed at] {v}
        [eligible for|entitled to] {s} are {v}
        nobody but {v} gets {s}
        {s} {is} offered to {v}
        """, """
        who [may|can|is allowed to] [use|apply for|join|enter|have] {s}
        who [qualifies for|is eligible for|is entitled to|has a right to] {s}
        for whom {is} {s} [meant|intended|reserved|open|available]
        to whom {is} {s} [open|offered|available]
        =the people [eligible for|entitled to|allowed to use] {s}
        who gets {s}
        who {is} {s} [for|aimed at|reserved for]
        """),
    Relation("informs", "charge", "who", ("thing", "event", "mass", "group", "facility"), "to be informed", """
        {s} must be [reported|notified|announced|disclosed] to {v}
        [tell|inform|notify|alert] {v} [about|of] {s}
        {v} [must be|has to be|wants to be] [told|informed|notified] [about|of] {s}
        [report|announce|hand over|disclose] {s} to {v}
        {v} [receives|takes|collects] reports [about|of|on] {s}
        whoever [notices|sees|discovers|finds] {s} [calls|informs|tells] {v}
        news of {s} [goes|is passed on] to {v}
        """, """
        to whom [must|should] {s} be [reported|announced|notified|disclosed]
        who [must|should|has to] be [told|informed|notified|alerted] [about|of] {s}
        whom do I [tell|inform|notify|alert] [about|of] {s}
        who do I [tell|inform|report to] [about|in the case of] {k}
        =the person to be [told|informed|notified] about {s}
        to whom do I report {s}
        who wants to know about {s}
        """),
    Relation("covers", "cover", "thing", ("mass", "product", "thing", "company", "group"), "cover", """
        {s} [cover{z}|include{z}|insure{z}|extend{z} to|apply to] {v}
        {v} are [covered|insured|included|protected] [by|under|in] {s}
        the scope of {s} includes {v}
        under {s}, {v} are [insured|covered|included]
        {s} [pay{z} for|protect{z}|take{z} care of] {v}
        {v} [fall|come] under {s}
        {v} [form|are] part of {s}
        """, """
        what {does} {s} [cover|include|insure|protect|pay for]
        what is [covered|insured|included|protected] [by|under|in] {s}
        =the scope of {s}
        what [comes|falls] under {s}
        which things {does} {s} [cover|include|extend to]
        for what {does} {s} pay
        """),
    Relation("excludes", "exclusion", "thing", ("mass", "product", "thing", "company"), "exclusion", """
        {s} [exclude{z}|{does} not cover|{does} not include|{does} not pay for|leave{z} out] {v}
        {v} are [excluded from|not covered by|not part of|not insured under] {s}
        {v} are an exception to {s}
        {s} [{is} not valid|{does} not apply] for {v}
        excluded from {s} are {v}
        [nothing is paid|there is no cover] for {v} under {s}
        """, """
        what {does} {s} [exclude|not cover|not include|leave out]
        what is [excluded from|not covered by|not part of|not insured under] {s}
        =the [exclusion|exception] [in|of|to] {s}
        for what {is} {s} not valid
        what {is} {s} not [good|valid] for
        which things {does} {s} not pay for
        """),
    Relation("reports_to", "superior", "who", HUMANS, "superior", """
        {s} report{z} to {v}
        {v} is the [boss|superior|line manager|supervisor] of {s}
        {p} [superior|boss|supervisor|line manager] is {v}
        {s} {is} supervised by {v}
        {v} supervises {s}
        {s} answer{z} to {v}
        {s} [take{z} instructions from|work{z} under] {v}
        """, """
        who is the [boss|superior|supervisor|line manager] of {s}
        to whom {does} {s} report
        who {does} {s} report to
        =the [boss|superior|supervisor|line manager] of {s}
        who supervises {s}
        under whom {does} {s} work
        by whom {is} {s} supervised
        """),
    Relation("send_to", "location", "where", ("thing", "group"), "delivery address", """
        {s} [{is} delivered|{is} handed in|{is} dropped off|must be brought|{is} collected] [in|at] {v}
        [bring|take|deliver|carry] {s} to {v}
        {v} is where {s} [{is} handed in|{is} dropped off|{is} collected]
        [drop off|hand in|pick up|collect] {s} [in|at] {v}
        {s} can be [picked up|handed in|collected|dropped off] in {v}
        """, """
        where [do|can|must] I [bring|take|hand in|drop off|pick up|collect] {s}
        where {is} {s} [handed in|dropped off|collected|delivered]
        =the place [to hand in|to collect|where one gets] {s}
        to which place do I [bring|take] {s}
        where can {s} be [picked up|collected]
        where do {k} have to be brought
        """),
    Relation("interest", "interest", "percent", ("thing", "group", "company", "mass"), "interest rate", """
        {s} [bear{z}|carr{y}|yield{z}] interest of {v}
        the interest [rate|] [on|for] {s} is {v}
        interest of {v} is [charged|paid|due] on {s}
        we [pay|charge] {v} interest on {s}
        {s} come{z} with an interest rate of {v}
        """, """
        =the interest [rate|] [on|for] {s}
        how much interest [is charged|is paid|is due] on {s}
        how high is the interest [rate|] on {s}
        what interest {does} {s} [bear|carry|yield]
        at what rate of interest {is} {s} offered
        """),
    Relation("contribution", "contribution", "percent", ("mass", "thing", "people", "event"), "contribution", """
        [the employer|the company|the firm] [pays|contributes|covers|bears] {v} [of|towards] {s}
        {v} of {s} [is|are] [paid|borne|reimbursed|refunded|covered] by [the employer|the company|us]
        we [reimburse|refund|pay back|cover] {v} of the cost of {s}
        {s} {is} [subsidised|supported|reimbursed] at {v}
        the [contribution|subsidy|refund] for {s} [is|amounts to] {v}
        """, """
        =the [contribution|subsidy|refund] for {s}
        how much [of|towards] {s} does the [employer|company|firm] [pay|contribute|cover]
        what [share|percentage|part] of {s} is [paid|borne|reimbursed|refunded|covered] by the [employer|company]
        how much of {s} is [reimbursed|refunded|paid back]
        what does the company [add|contribute] to {s}
        """),
    Relation("minimum", "minimum", "money", GOODS, "minimum", """
        {s} must [be worth|amount to|reach|come to] at least {v}
        the [minimum|lower limit|smallest amount] for {s} is {v}
        {s} {is} [possible|paid|accepted] from {v} [on|upwards]
        [nothing|no amount] below {v} is [paid|accepted] for {s}
        {s} start{z} at {v}
        from {v} [on|upwards], {s} {is} [paid|accepted]
        """, """
        =the [minimum|lower limit|smallest amount] for {s}
        from what amount {is} {s} [possible|paid|accepted]
        what is the least that is [paid|accepted] for {k}
        how [low|small] may {s} be
        at what amount {does} {s} start
        """),
    Relation("successor", "successor", "person", ("person", "body", "people"), "successor", """
        {v} [succeeded|will succeed|followed] {s}
        the successor [of|to] {s} is {v}
        {s} [handed over to|made way for|{was} succeeded by] {v}
        {p} successor is {v}
        after {s} came {v}
        """, """
        who [succeeded|followed|came after] {s}
        =the successor [of|to] {s}
        by whom {was} {s} succeeded
        to whom did {s} hand over
        who came after {s}
        """),
    Relation("predecessor", "earlier holder", "person", ("person", "body"), "predecessor", """
        before {s}, the post was held by {v}
        the predecessor of {s} was {v}
        {s} took over from {v}
        {p} predecessor was {v}
        {v} had the job before {s}
        """, """
        who held the post before {s}
        =the predecessor of {s}
        from whom did {s} take over
        who came before {s}
        whom did {s} replace
        """),
    Relation("profession", "profession", "profession", ("person",), "profession", """
        {s} is [a trained|by training a|a former|by profession a] {v}
        {s} [trained|worked|started] as a {v}
        {v} is {p} [profession|trade]
        {p} [profession|trade|original job] is {v}
        {s} learned the trade of a {v}
        """, """
        what is {s} by [profession|training|trade]
        =the [profession|trade] of {s}
        which [profession|trade] [does {s} have|did {s} learn]
        what did {s} train as
        as what did {s} [train|start]
        """),
    Relation("studied", "education", "company", ("person",), "place of study", """
        {s} [studied|was educated|took a degree|graduated] at {v}
        {v} is where {s} [studied|went to school]
        {s} [attended|went to|graduated from] {v}
        {s} holds a degree from {v}
        """, """
        where did {s} [study|graduate|go to school]
        at which [institution|university|school] did {s} study
        =the place where {s} studied
        which [school|institution] did {s} attend
        from where does {s} hold a degree
        """),
    Relation("partner", "cooperation", "company", ("company", "body", "facility"), "partner", """
        {s} [work{z} together|cooperate{z}|{has} an agreement|share{z} an office] with {v}
        {v} is the partner of {s}
        {s} [{is} backed|{is} supported|{is} funded] by {v}
        the partner of {s} is {v}
        {s} and {v} [joined forces|work together]
        """, """
        with [whom|which company] {does} {s} [work together|cooperate|share an office]
        =the partner of {s}
        who [backs|supports|funds] {s}
        by whom {is} {s} [backed|supported|funded]
        which company works with {s}
        """),
    Relation("speed", "speed", "speed", ("thing", "product", "mass"), "speed", """
        {s} [travel{z}|move{z}|go{es}|run{z}] at {v}
        the [top|maximum|usual|] speed of {s} is {v}
        {s} reach{es} {v}
        {s} {is} as fast as {v}
        {s} must not go faster than {v}
        """, """
        how fast {does} {s} [travel|move|go|run]
        how fast {is} {s}
        =the [top|maximum|usual|] speed of {s}
        at what speed {does} {s} [travel|move|run]
        what speed {does} {s} reach
        """),
    Relation("power", "energy", "power", ("thing", "product", "facility"), "power", """
        {s} [use{z}|consume{z}|draw{z}|need{z}] {v} of power
        the power of {s} is {v}
        {s} [produce{z}|deliver{z}|generate{z}] {v}
        {v} of electricity [is|are] used by {s}
        {s} {is} rated at {v}
        """, """
        how much [power|electricity] {does} {s} [use|consume|draw|need|produce|deliver|generate]
        =the power of {s}
        at what power {is} {s} rated
        how powerful {is} {s}
        """),
    Relation("contains", "content", "thing", ("thing", "facility", "product"), "content", """
        {s} [contain{z}|hold{z}|{is} full of|{is} filled with|store{z}] {v}
        {v} are [kept|found|hidden|stored] in {s}
        inside {s} there are {v}
        the content of {s} is {v}
        {s} {is} [used for|made to hold] {v}
        """, """
        what {does} {s} [contain|hold|store]
        what is [in|inside|kept in|stored in|found in] {s}
        =the content of {s}
        with what {is} {s} filled
        what can be found in {s}
        """),
    Relation("sells", "offer", "thing", ("company", "facility", "body"), "product range", """
        {s} [sell{z}|offer{z}|make{z}|produce{z}|trade{z} in|repair{z}|rent{z} out] {v}
        {v} are [sold|offered|made|produced|repaired] by {s}
        {s} [specialise{z} in|{is} known for|{is} famous for] {v}
        {v} [are|remain] the main business of {s}
        you get {v} from {s}
        """, """
        what {does} {s} [sell|offer|make|produce|trade in|repair|rent out]
        what is [sold|offered|made|produced] by {s}
        =the main business of {s}
        what {is} {s} [known|famous] for
        in what {does} {s} specialise
        what can I get from {s}
        """),
    Relation("visits", "visitors", "count", (*SITES, "event"), "visitors", """
        {s} [attract{z}|draw{z}|see{z}|welcome{z}|count{z}] {v} visitors
        {v} [people|visitors|guests] [came to|attended|visited|went to] {s}
        the number of visitors of {s} [is|was] {v}
        {s} had {v} [visitors|guests|guests a year]
        """, """
        how many [people|visitors|guests] [came to|attended|visited|went to] {s}
        =the number of [visitors|guests] [of|at] {s}
        how many [visitors|guests] {does} {s} [attract|have|see|welcome]
        how well attended {was} {s}
        """),
    Relation("parts", "parts", "count", ("thing", "event", "product", "body"), "number of parts", """
        {s} {has} {v} [parts|sections|chapters|pieces]
        {s} consist{z} of {v} [parts|sections|pieces]
        the number of parts of {s} is {v}
        {s} {is} [divided|split] into {v} [parts|sections]
        there are {v} [parts|sections|chapters] [in|to] {s}
        """, """
        how many [parts|sections|chapters|pieces] {does} {s} have
        into how many [parts|sections] {is} {s} [divided|split]
        =the number of [parts|sections|pieces] of {s}
        of how many [parts|pieces|sections] {does} {s} consist
        """),
    Relation("delay", "lateness", "duration", ("event", "thing", "facility", "product"), "delay", """
        {s} {was} [delayed|late|held up|put back] by {v}
        {s} [came|arrived|started|was finished] {v} late
        the delay of {s} was {v}
        there was a delay of {v} [to|with] {s}
        {s} lost {v}
        """, """
        by how much {was} {s} [delayed|late|held up]
        how late {was} {s}
        =the delay of {s}
        how long {was} {s} [delayed|held up]
        how much time did {s} lose
        """),
    Relation("instead", "substitute", "tool", ("thing", "product", "mass", "event"), "substitute", """
        {v} [replaces|takes the place of|is used instead of|can be used in place of] {s}
        instead of {s}, use {v}
        when {s} {is} [not available|broken|missing], use {v}
        {v} is the [alternative|substitute|fallback] for {s}
        if {s} fail{z}, [we|you] fall back on {v}
        """, """
        what [replaces|takes the place of] {s}
        what is used instead of {s}
        what do I use when {s} {is} [not available|broken|missing]
        =the [alternative|substitute|fallback] for {s}
        what do we fall back on if {s} fail{z}
        """),
    Relation("forbidden", "ban", "thing", ("facility", "event", "place", "group"), "forbidden", """
        {v} are [forbidden|banned|not allowed|prohibited|not permitted] [in|at] {s}
        {s} [ban{z}|forbid{z}] {v}
        [do not|never|please do not] [bring|take] {v} [to|into] {s}
        it is forbidden to have {v} in {s}
        [no|not any] {v} may be brought into {s}
        """, """
        what is [forbidden|banned|not allowed|prohibited|not permitted] [in|at] {s}
        what {does} {s} [ban|forbid]
        what may not be [brought|taken] into {s}
        =the things [forbidden|banned|not allowed] in {s}
        what must I not bring to {s}
        """),
    Relation("topic", "topic", "thing", ("event", "body", "thing"), "topic", """
        {s} [deal{z} with|{is} about|focus{es} on|discuss{es}] {v}
        the [topic|subject|theme] of {s} is {v}
        {v} are the [topic|subject|theme] of {s}
        {s} {was} devoted to {v}
        at {s}, everything is about {v}
        """, """
        what {is} {s} about
        what {does} {s} [deal with|focus on|discuss]
        =the [topic|subject|theme] of {s}
        to what {was} {s} devoted
        """),
)  # fmt: skip
