// DSP48E2 and DSP48E1 as deepdive_dsp uses them, for simulation alone: registers at A, B, D and P, (A + D) * B, and PCIN or nothing
// added; with or without registers behind the pre-adder (with a second one at B) and behind the multiplier.
// Every other mode stops the simulation. tests/rtl/test_dsp.py holds the DSP48E1 against Yosys' own model of it.
module DSP48E2 #(
    parameter AMULTSEL = "A",
    parameter BMULTSEL = "B",
    parameter PREADDINSEL = "A",
    parameter A_INPUT = "DIRECT",
    parameter B_INPUT = "DIRECT",
    parameter USE_MULT = "MULTIPLY",
    parameter USE_SIMD = "ONE48",
    parameter USE_PATTERN_DETECT = "NO_PATDET",
    parameter AREG = 1,
    parameter ACASCREG = 1,
    parameter BREG = 1,
    parameter BCASCREG = 1,
    parameter CREG = 1,
    parameter MREG = 1,
    parameter PREG = 1,
    parameter ADREG = 1,
    parameter DREG = 1,
    parameter ALUMODEREG = 1,
    parameter CARRYINREG = 1,
    parameter CARRYINSELREG = 1,
    parameter INMODEREG = 1,
    parameter OPMODEREG = 1
) (
    input wire CLK,
    input wire [29:0] A,
    input wire [17:0] B,
    input wire [47:0] C,
    input wire [26:0] D,
    input wire [29:0] ACIN,
    input wire [17:0] BCIN,
    input wire [47:0] PCIN,
    input wire [3:0] ALUMODE,
    input wire [4:0] INMODE,
    input wire [8:0] OPMODE,
    input wire [2:0] CARRYINSEL,
    input wire CARRYIN, CARRYCASCIN, MULTSIGNIN,
    input wire CEA1, CEA2, CEB1, CEB2, CEP, CEAD, CEALUMODE, CEC, CECARRYIN, CECTRL, CED, CEINMODE, CEM,
    input wire RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL, RSTD, RSTINMODE, RSTM, RSTP,
    output wire [47:0] P,
    output wire [29:0] ACOUT,
    output wire [17:0] BCOUT,
    output wire [47:0] PCOUT,
    output wire [3:0] CARRYOUT,
    output wire CARRYCASCOUT, MULTSIGNOUT, OVERFLOW, PATTERNBDETECT, PATTERNDETECT, UNDERFLOW,
    output wire [7:0] XOROUT
);
    reg signed [26:0] a = 0, d = 0, late_ad = 0;
    reg signed [17:0] early_b = 0, b = 0;
    reg signed [44:0] late_m = 0;
    reg signed [47:0] p = 0;
    wire signed [26:0] now_ad = a + d;
    wire signed [26:0] ad = ADREG == 1 ? late_ad : now_ad;
    wire signed [44:0] now_m = ad * b;
    wire signed [44:0] m = MREG == 1 ? late_m : now_m;
    wire signed [47:0] z = OPMODE[4] ? PCIN : 48'd0;

    initial begin
        if (USE_MULT != "MULTIPLY" || A_INPUT != "DIRECT" || B_INPUT != "DIRECT" || USE_SIMD != "ONE48" || AREG != 1 || DREG != 1
            || AMULTSEL != "AD" || BMULTSEL != "B" || PREADDINSEL != "A" || !(ADREG == 0 && BREG == 1 || ADREG == 1 && BREG == 2)
            || PREG != 1 || ALUMODEREG != 0 || OPMODEREG != 0 || INMODEREG != 0 || CARRYINSELREG != 0 || CARRYINREG != 0)
            $fatal(1, "DSP48E2: a mode that is not modelled");
    end

    always @(posedge CLK) begin
        if (ALUMODE != 0 || INMODE != 5'b00100 || OPMODE != 9'b000000101 && OPMODE != 9'b000010101 || CARRYINSEL != 0 || CARRYIN
            || RSTA || RSTB || RSTD || RSTM || RSTP)
            $fatal(1, "DSP48E2: an operation that is not modelled");
        if (CEA2) a <= A[26:0];
        if (CED) d <= D;
        if (CEB1) early_b <= B;
        if (CEB2) b <= BREG == 2 ? early_b : B;
        if (CEAD) late_ad <= now_ad;
        if (CEM) late_m <= now_m;
        if (CEP) p <= z + m;
    end

    assign P = p;
    assign PCOUT = p;
endmodule

module DSP48E1 #(
    parameter USE_DPORT = "FALSE",
    parameter A_INPUT = "DIRECT",
    parameter B_INPUT = "DIRECT",
    parameter USE_MULT = "MULTIPLY",
    parameter USE_SIMD = "ONE48",
    parameter USE_PATTERN_DETECT = "NO_PATDET",
    parameter AREG = 1,
    parameter ACASCREG = 1,
    parameter BREG = 1,
    parameter BCASCREG = 1,
    parameter CREG = 1,
    parameter MREG = 1,
    parameter PREG = 1,
    parameter ADREG = 1,
    parameter DREG = 1,
    parameter ALUMODEREG = 1,
    parameter CARRYINREG = 1,
    parameter CARRYINSELREG = 1,
    parameter INMODEREG = 1,
    parameter OPMODEREG = 1
) (
    input wire CLK,
    input wire [29:0] A,
    input wire [17:0] B,
    input wire [47:0] C,
    input wire [24:0] D,
    input wire [29:0] ACIN,
    input wire [17:0] BCIN,
    input wire [47:0] PCIN,
    input wire [3:0] ALUMODE,
    input wire [4:0] INMODE,
    input wire [6:0] OPMODE,
    input wire [2:0] CARRYINSEL,
    input wire CARRYIN, CARRYCASCIN, MULTSIGNIN,
    input wire CEA1, CEA2, CEB1, CEB2, CEP, CEAD, CEALUMODE, CEC, CECARRYIN, CECTRL, CED, CEINMODE, CEM,
    input wire RSTA, RSTALLCARRYIN, RSTALUMODE, RSTB, RSTC, RSTCTRL, RSTD, RSTINMODE, RSTM, RSTP,
    output wire [47:0] P,
    output wire [29:0] ACOUT,
    output wire [17:0] BCOUT,
    output wire [47:0] PCOUT,
    output wire [3:0] CARRYOUT,
    output wire CARRYCASCOUT, MULTSIGNOUT, OVERFLOW, PATTERNBDETECT, PATTERNDETECT, UNDERFLOW
);
    reg signed [24:0] a = 0, d = 0, late_ad = 0;
    reg signed [17:0] early_b = 0, b = 0;
    reg signed [42:0] late_m = 0;
    reg signed [47:0] p = 0;
    wire signed [24:0] now_ad = a + d;
    wire signed [24:0] ad = ADREG == 1 ? late_ad : now_ad;
    wire signed [42:0] now_m = ad * b;
    wire signed [42:0] m = MREG == 1 ? late_m : now_m;
    wire signed [47:0] z = OPMODE[4] ? PCIN : 48'd0;

    initial begin
        if (USE_MULT != "MULTIPLY" || A_INPUT != "DIRECT" || B_INPUT != "DIRECT" || USE_SIMD != "ONE48" || AREG != 1 || DREG != 1
            || USE_DPORT != "TRUE" || !(ADREG == 0 && BREG == 1 || ADREG == 1 && BREG == 2)
            || PREG != 1 || ALUMODEREG != 0 || OPMODEREG != 0 || INMODEREG != 0 || CARRYINSELREG != 0 || CARRYINREG != 0)
            $fatal(1, "DSP48E1: a mode that is not modelled");
    end

    always @(posedge CLK) begin
        if (ALUMODE != 0 || INMODE != 5'b00100 || OPMODE != 7'b0000101 && OPMODE != 7'b0010101 || CARRYINSEL != 0 || CARRYIN
            || RSTA || RSTB || RSTD || RSTM || RSTP)
            $fatal(1, "DSP48E1: an operation that is not modelled");
        if (CEA2) a <= A[24:0];
        if (CED) d <= D;
        if (CEB1) early_b <= B;
        if (CEB2) b <= BREG == 2 ? early_b : B;
        if (CEAD) late_ad <= now_ad;
        if (CEM) late_m <= now_m;
        if (CEP) p <= z + m;
    end

    assign P = p;
    assign PCOUT = p;
endmodule
