"""Relations about when, how long and how often."""

from hrm_model.training.grounded.relations.relation import GOODS, HUMANS, SITES, Relation

TIMES = (
    Relation("processing", "processing time", "duration", ("thing", "event", "group", "body"), "processing time", """
        {s} {is} [processed|handled|dealt with|settled|completed|finished] within {v}
        it takes {v} to [process|handle|deal with|settle|complete] {s}
        the [processing|handling|turnaround] time for {s} is {v}
        {s} [take{z}|last{z}] {v}
        {v} [is|are] needed for {s}
        we [settle|handle|complete|process] {s} within {v}
        {s} [run{z} for|go{es} on for] {v}
        {p} duration is {v}
        expect {s} to [take|last] {v}
        """, """
        how long {does} {s} [take|last]
        how long {is} {s}
        how long does it take to [process|handle|settle|complete] {s}
        =the [processing time|handling time|turnaround time|duration] [of|for] {s}
        within what time {is} {s} [processed|handled|settled|completed]
        how much time [is needed|must I allow] for {k}
        how [fast|quickly|soon] {is} {s} [processed|handled|settled|dealt with]
        {k} [duration|how long]
        """),
    Relation("retention", "retention", "duration", ("thing", "thing", "group", "mass"), "retention period", """
        {s} {is} [kept|retained|stored|archived|preserved] for {v}
        the retention period [for|of] {s} is {v}
        we [keep|retain|store|archive] {s} for {v}
        {s} [{is} deleted|{is} destroyed|{is} erased|{is} shredded] after {v}
        after {v}, {s} [must be|{is}] [deleted|destroyed|erased|shredded]
        {v} is how long we [keep|retain|store] {s}
        {s} must be [held|kept] on file for {v}
        """, """
        how long {is} {s} [kept|retained|stored|archived|preserved]
        how long [must|do|should] we [keep|retain|store|archive] {s}
        =the [retention period|storage period] [for|of] {s}
        after [what time|how long] {is} {s} [deleted|destroyed|erased|shredded]
        when may {s} be [deleted|destroyed|thrown away]
        for how long {is} {s} held
        """),
    Relation("deadline", "deadline", "duration", ("thing", "event", "group"), "deadline", """
        {s} must be [reported|submitted|filed|sent in|handed in|returned] within {v}
        the [deadline|time limit] for {s} is {v}
        you have {v} to [submit|file|send in|report|return] {s}
        [submit|report|file|send in|hand in] {s} within {v}
        {s} {is} [accepted|valid] only within {v}
        [anyone|whoever] has {s} must tell us within {v}
        there is a [time limit|deadline] of {v} for {s}
        {v} [is|are] allowed for [handing in|reporting|filing] {s}
        """, """
        =the [deadline|time limit] for {s}
        how long do I have to [submit|file|send in|report|return] {s}
        within what [time|period] must {s} be [reported|submitted|filed|returned]
        how [soon|quickly] must {s} be [reported|submitted|filed]
        how much time is there to [report|submit|hand in] {s}
        by when do I have to [report|submit|hand in] {s}
        {k} [deadline|time limit]
        """),
    Relation("notice", "notice", "duration", ("people", "thing", "group", "mass"), "notice period", """
        the notice period for {s} is {v}
        {s} [can|may] be [cancelled|terminated|ended] with {v} notice
        {s} [require{z}|need{z}] notice of {v}
        [cancelling|ending|terminating] {s} requires {v} notice
        a notice period of {v} applies to {s}
        to [end|cancel|terminate] {s}, give notice {v} in advance
        """, """
        =the notice period [for|of] {s}
        how much notice [{does} {s} need|must be given for {s}]
        what notice is [needed|required] to [cancel|end|terminate] {s}
        how long is the notice period for {s}
        how far in advance must {s} be [cancelled|terminated]
        """),
    Relation("due_date", "deadline", "date", ("thing", "event", "group"), "due date", """
        {s} {is} due [on|by] {v}
        {s} must [arrive|be in|be ready|be finished] by {v}
        the [due date|final date|closing date] for {s} is {v}
        {v} is the last day for {s}
        {s} will no longer be accepted after {v}
        [submit|send in|hand in] {s} [by|before|no later than] {v}
        """, """
        when {is} {s} due
        =the [due date|final date|closing date] [of|for] {s}
        by [when|what date|which day] must {s} [arrive|be in|be ready|be submitted]
        until when can {s} be [submitted|sent in|handed in]
        what is the last day for {k}
        """),
    Relation("start", "start", "date", ("event", "thing", "product", "facility", "body", "person"), "start date", """
        {s} [start{z}|begin{z}|open{z}|commence{z}] on {v}
        {s} [started|began|opened|was introduced|was launched|took effect] on {v}
        the [start|beginning|first day|launch] of {s} [is|was] {v}
        {v} [is|was] the [start|first] day of {s}
        {s} [{was}|{has} been] [active|in place|in use|in force|valid] since {v}
        on {v}, {s} [began|started|opened]
        """, """
        when {does} {s} [start|begin|open|commence]
        when did {s} [start|begin|open]
        =the [start date|first day|beginning|start|launch date] of {s}
        since when {is} {s} [active|in place|in use|in force]
        on [which|what] [date|day] {does} {s} [start|begin]
        from when {is} {s} available
        """),
    Relation("end", "end", "date", ("event", "thing", "product", "facility", "body"), "end date", """
        {s} [end{z}|finish{es}|close{z}|expire{z}|run{z} out] on {v}
        {s} [ended|closed|expired|was withdrawn|was shut down] on {v}
        the [end|last day|expiry date] of {s} is {v}
        {s} {is} [valid|open|available] until {v}
        {v} marks the end of {s}
        on {v}, {s} [ends|ended|closed]
        """, """
        when {does} {s} [end|finish|close|expire|run out]
        when did {s} [end|close|expire]
        =the [end date|last day|expiry date|end] of {s}
        until when {is} {s} [valid|open|available]
        how long {is} {s} valid
        on which date {does} {s} [end|expire]
        """),
    Relation("born", "birth date", "date", ("person",), "date of birth", """
        {s} was born on {v}
        the birthday of {s} is {v}
        {s} came into the world on {v}
        {v} is {p} [birthday|date of birth]
        {p} date of birth is {v}
        """, """
        when was {s} born
        =the [birthday|date of birth] of {s}
        on which [day|date] was {s} born
        when is {p} birthday
        """),
    Relation("founded", "start", "year", ("company", "facility", "place", "body"), "founding year", """
        {s} {was} [founded|built|established|set up|opened] in {v}
        the [founding|foundation|building] of {s} [dates back to|took place in] {v}
        {s} {has} existed since {v}
        {v} saw the [opening|founding|foundation] of {s}
        {s} [go{es} back to|dates from|has its origin in] {v}
        the year of {p} founding is {v}
        """, """
        when {was} {s} [founded|built|established|set up]
        in [which|what] year {was} {s} [founded|built|established|opened]
        =the founding year of {s}
        since when {does} {s} exist
        how old {is} {s}
        which year saw the [opening|founding] of {s}
        """),
    Relation("hours", "hours", "hours", (*SITES, "body", "product"), "opening hours", """
        {s} {is} open from {v}
        the [opening|office|business|service] hours of {s} are {v}
        {s} [receive{z} visitors|answer{z} calls|{is} staffed|{is} available] {v}
        you can [reach|visit|call|use] {s} {v}
        {s} [operate{z}|work{z}|serve{z} the public] {v}
        opening times [of|for] {s}: {v}
        """, """
        when {is} {s} open
        =the [opening hours|opening times|office hours|business hours|hours] of {s}
        [at what times|during which hours] {is} {s} [open|available|staffed]
        when can I [reach|visit|call|use] {s}
        from when to when {is} {s} open
        how long {is} {s} open
        {k} [hours|opening hours|opening times]
        """),
    Relation("begins_at", "start", "time", ("event", "event", "facility", "group"), "time", """
        {s} [start{z}|begin{z}|open{z}] at {v}
        the [start|beginning] of {s} is at {v}
        {s} [{is} scheduled|{is} planned|{is} set] for {v}
        {v} is the time [for|of] {s}
        at {v}, {s} [starts|begins|opens]
        please [be on time|arrive] for {s} at {v}
        """, """
        at what time {does} {s} [start|begin|open]
        when {does} {s} [start|begin|open]
        what time {is} {s}
        =the [starting time|start time|time] of {s}
        for what time {is} {s} [scheduled|planned|set]
        """),
    Relation("frequency", "frequency", "frequency", ("event", "thing", "body", "facility", "people"), "frequency", """
        {s} {is} [checked|reviewed|tested|inspected|updated|cleaned|serviced] {v}
        {s} [take{z} place|meet{z}|happen{z}|occur{z}|{is} held] {v}
        {v}, {s} {is} [checked|reviewed|tested|renewed]
        we [check|review|test|renew|clean] {s} {v}
        there [is|are] {s} {v}
        {s} must be [renewed|replaced|changed|repeated] {v}
        """, """
        how often {is} {s} [checked|reviewed|tested|inspected|updated|cleaned|serviced|held]
        how [often|frequently] {does} {s} [take place|meet|happen|occur]
        how often [must|should] {s} be [renewed|replaced|changed|repeated|checked]
        =the [frequency|rhythm|interval] of {s}
        at what intervals {is} {s} [checked|renewed|held]
        how regularly {does} {s} happen
        """),
    Relation("weekday", "weekday", "weekday", ("event", "facility", "body", "thing"), "day", """
        {s} [take{z} place|{is} held|happen{z}] on {v}s
        {s} {is} [closed|delivered|collected|planned] on {v}
        the [day|weekday] for {s} is {v}
        {v} is the day of {s}
        every {v} there is {s}
        """, """
        on [which|what] [day|weekday] {does} {s} [take place|happen]
        on which day of the week {is} {s} [held|delivered|collected|closed]
        =the [day|weekday] [of|for] {s}
        what day {is} {s}
        """),
    Relation("age", "age", "duration", (*HUMANS, "thing", "facility"), "age", """
        {s} {is} {v} old
        the age of {s} is {v}
        {p} age is {v}
        {s} {has} an age of {v}
        {s} {was} {v} old at the time
        """, """
        how old {is} {s}
        =the age of {s}
        what age {is} {s}
        at what age {was} {s} [recorded|seen|measured]
        """),
    Relation("leave", "entitlement", "duration", ("people", "group", "person"), "entitlement", """
        {s} {is} [entitled to|granted|given|allowed] {v} of [leave|holiday|vacation]
        {s} [get{z}|receive{z}|{has}] {v} of [paid leave|holiday|vacation|leave]
        the [leave|holiday] entitlement of {s} is {v}
        {v} of [leave|holiday] [is|are] [due|granted] to {s}
        {s} may take {v} off
        """, """
        how much [leave|holiday|vacation|time off] {does} {s} [get|have|receive]
        how much [leave|holiday|vacation|time off] {is} {s} entitled to
        =the [leave|holiday|vacation] entitlement of {s}
        how long may {s} be [on leave|on holiday|away]
        how much time off {is} {s} [given|granted|allowed]
        """),
    Relation("warranty", "warranty", "duration", GOODS, "warranty", """
        {s} come{z} with a [warranty|guarantee] of {v}
        the [warranty|guarantee] [on|for] {s} [is|lasts|runs for] {v}
        {s} {is} [guaranteed|under warranty|under guarantee] for {v}
        {s} carr{y} a [warranty|guarantee] of {v}
        for {v}, {s} {is} repaired free of charge
        """, """
        how long is the [warranty|guarantee] [on|for] {s}
        =the [warranty|guarantee] [period|] [on|for|of] {s}
        for how long {is} {s} [guaranteed|under warranty]
        what [warranty|guarantee] {does} {s} [have|carry]
        """),
    Relation("waiting", "waiting", "duration", ("thing", "people", "mass", "group"), "waiting period", """
        {s} [start{z}|begin{z}|{is} available|{is} possible] only after {v}
        the waiting [period|time] for {s} is {v}
        {s} {has} a waiting [period|time] of {v}
        you [have to|must] wait {v} for {s}
        nobody gets {s} before {v} have passed
        """, """
        how long [is the wait|do I have to wait|must I wait] for {s}
        =the waiting [period|time] for {s}
        after what time {is} {s} [available|possible]
        what waiting [period|time] applies to {s}
        """),
)  # fmt: skip
